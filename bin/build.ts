// Bundles the command line, the controllers, the local cluster and the sample application into dist/.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Help, Plugin, settings } from '@oclif/core'
import { Ajv } from 'ajv'
import standalone from 'ajv/dist/standalone/index.js'
import { build, type Plugin as EsbuildPlugin } from 'esbuild'
import { completedCommands, completionScript, shells } from '../src/runtime/cli/completion.ts'
import { loadConfig } from '../src/runtime/cli/main.ts'
import { meshVersion } from '../src/runtime/shared/version.ts'
import { compiledRuntime, compileTemplate } from '../src/templates/compile.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

/** Programs beside the command line, by the name of their bundle. */
const programs = {
  controller: 'src/runtime/control/main.ts',
  local: 'src/runtime/local/daemon.ts',
  shop: 'examples/shop/main.ts',
}

function filesIn(folder: string, pattern: RegExp): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

/** Bundles name themselves by their path below dist/. */
function entryPoints(): Record<string, string> {
  const entries: Record<string, string> = { cli: 'src/runtime/cli/main.ts' }
  for (const file of filesIn(join(root, 'src/commands'), /\.tsx?$/)) {
    entries[relative(join(root, 'src'), file).replace(/\.tsx?$/, '')] = relative(root, file)
  }
  for (const [name, file] of Object.entries(programs)) {
    if (existsSync(join(root, file))) entries[name] = file
    else process.stderr.write(`build: ${file} is not there yet; dist/${name}.js is left out\n`)
  }
  return entries
}

const templates = join(root, 'src/templates')

/** Templates become functions that make the objects: a bundle needs no Handlebars, and reads no YAML to render. */
function compiledEngine(): string {
  const partials = new Map(
    filesIn(join(templates, 'partials'), /\.hbs$/).map((file) => [
      basename(file, '.hbs'),
      readFileSync(file, 'utf8'),
    ]),
  )
  const functions = filesIn(templates, /\.hbs$/)
    .map((file) => ({ path: relative(templates, file), text: readFileSync(file, 'utf8') }))
    .filter(({ path }) => !path.startsWith('partials/'))
    .map(({ path, text }) => `${JSON.stringify(path)}: ${compileTemplate(text, partials)},\n`)
  return `${compiledRuntime}
const templates = {\n${functions.join('')}}
export function renderTemplate(path, context) {
  const template = templates[path]
  if (template === undefined) throw new Error('no template ' + path)
  return template(context)
}
export function templatesIn(folder) {
  return Object.keys(templates).filter((path) => path.startsWith(folder + '/')).sort()
}
`
}

/** A CommonJS module whose export is the function; its types say otherwise. */
const standaloneCode = standalone as unknown as typeof standalone.default

/** The schema of values becomes a function: ajv's compiler stays out of the bundle. */
function compiledValidator(): string {
  const ajv = new Ajv({ allErrors: true, code: { source: true, esm: true } })
  const schema = JSON.parse(readFileSync(join(templates, 'values.schema.json'), 'utf8'))
  return `${standaloneCode(ajv, ajv.compile(schema))}
export function schemaProblems(input) {
  return validate(input) ? [] : validate.errors
}
`
}

/** Puts what can be known now in the place of what would be worked out at each start. */
const aheadOfTime: EsbuildPlugin = {
  name: 'ahead-of-time',
  setup(builder) {
    const replace = (file: RegExp, contents: () => string) =>
      builder.onLoad({ filter: file }, () => ({ contents: contents(), loader: 'js', resolveDir: root }))
    replace(/src[/\\]templates[/\\]engine\.ts$/, compiledEngine)
    replace(/src[/\\]templates[/\\]values-validator\.ts$/, compiledValidator)
  },
}

/** Bundles, then removes what an earlier build left. */
async function bundle(): Promise<void> {
  const { metafile } = await build({
    metafile: true,
    absWorkingDir: root,
    entryPoints: entryPoints(),
    outdir: dist,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    chunkNames: 'chunks/[name]-[hash]',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    external: ['typescript'],
    plugins: [aheadOfTime],
    logLevel: 'warning',
    // CommonJS packages inside an ES module bundle call require; the names are ours, to stay out of theirs.
    banner: {
      js: [
        `import { createRequire as meshCreateRequire } from 'node:module'`,
        `import { fileURLToPath as meshFileUrlToPath } from 'node:url'`,
        'const require = meshCreateRequire(import.meta.url)',
        'const __filename = meshFileUrlToPath(import.meta.url)',
        `const __dirname = meshFileUrlToPath(new URL('.', import.meta.url))`,
      ].join('\n'),
    },
  })
  removeStale(new Set(Object.keys(metafile.outputs).map((file) => join(root, file))))
}

/** Chunks of an earlier build may still be asked for by programs that run, and by a build beside this one. */
const staleChunkAgeMs = 3_600_000

function removeStale(made: ReadonlySet<string>): void {
  for (const file of filesIn(join(dist, 'commands'), /\.js$/)) if (!made.has(file)) rmSync(file)
  for (const file of filesIn(join(dist, 'chunks'), /\.js$/)) {
    if (!made.has(file) && Date.now() - statSync(file).mtimeMs > staleChunkAgeMs) rmSync(file)
  }
}

/** The list of commands and flags that oclif would otherwise find by importing every command. */
async function writeManifest(): Promise<void> {
  settings.enableAutoTranspile = false
  const plugin = new Plugin({ errorOnManifestCreate: true, ignoreManifest: true, root, type: 'core' })
  await plugin.load()
  writeFileSync(join(root, 'oclif.manifest.json'), JSON.stringify(plugin.manifest))
}

/** Help and completion as files, so that asking for them imports nothing. */
async function writeAnswers(): Promise<void> {
  const config = await loadConfig({ packageRoot: root, from: 'dist' })
  rmSync(join(dist, 'help'), { recursive: true, force: true })
  const lines: string[] = []
  class FileHelp extends Help {
    protected override log(...words: string[]): void {
      lines.push(`${words.join(' ')}\n`)
    }
  }
  const topics = config.topics.filter((topic) => !topic.hidden).map((topic) => topic.name)
  const commands = config.commands.filter((command) => !command.hidden).map((command) => command.id)
  for (const id of ['', ...topics, ...commands]) {
    lines.length = 0
    await new FileHelp(config, { stripAnsi: true, maxWidth: 100 }).showHelp(id === '' ? [] : [id])
    const file = join(dist, 'help', `${id === '' ? 'mesh' : id.replaceAll(':', '/')}.txt`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, lines.join(''))
  }
  mkdirSync(join(dist, 'completion'), { recursive: true })
  for (const shell of shells) {
    const script = completionScript(shell, config.bin, completedCommands(config.commands))
    writeFileSync(join(dist, 'completion', `${shell}.txt`), script)
  }
  writeFileSync(join(dist, 'version.txt'), `mesh ${meshVersion}\n`)
}

process.env.NO_COLOR = '1'
for (const stale of ['chunks', 'commands', 'help'])
  rmSync(join(dist, stale), { recursive: true, force: true })
await bundle()
await writeManifest()
await writeAnswers()
