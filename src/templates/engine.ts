import Handlebars from 'handlebars'
import { parseDocument } from 'yaml'
import { readTemplateFile, templateFilesIn } from './files.ts'

// Programs that are bundled have another engine, which bin/build.ts makes by src/templates/compile.ts.

type Template = (context: unknown) => string

const compiled = new Map<string, Template>()
let environment: typeof Handlebars | undefined

/** One Handlebars environment, with the one helper that templates may use and every partial. */
function handlebars(): typeof Handlebars {
  if (environment !== undefined) return environment
  environment = Handlebars.create()
  environment.registerHelper('json', (value: unknown) => {
    if (value === undefined) throw new Error('{{json}} was given nothing')
    return JSON.stringify(value)
  })
  for (const path of templateFilesIn('partials')) {
    environment.registerPartial(path.replace(/^partials\//, '').replace(/\.hbs$/, ''), readTemplateFile(path))
  }
  return environment
}

/** Strict: a field that the context does not have is an error, and so is a helper that is not ours. */
function templateOf(path: string): Template {
  const known = compiled.get(path)
  if (known !== undefined) return known
  const template: Template = handlebars().compile(readTemplateFile(path), {
    strict: true,
    noEscape: true,
    knownHelpersOnly: true,
    knownHelpers: { json: true },
  })
  compiled.set(path, template)
  return template
}

/**
 * Renders one template and reads the YAML back, so that no output can be anything but data.
 * @param path such as `proxy/container.hbs`
 * @returns the document; `undefined` when the template came out blank
 */
export function renderTemplate(path: string, context: object): unknown {
  const text = templateOf(path)(context)
  if (text.trim() === '') return undefined
  const document = parseDocument(text, { uniqueKeys: true })
  const problem = document.errors[0] ?? document.warnings[0]
  if (problem !== undefined) throw problem
  return document.toJS()
}

/** The templates of a folder, sorted. */
export function templatesIn(folder: string): string[] {
  return templateFilesIn(folder)
}
