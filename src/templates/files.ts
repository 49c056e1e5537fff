import { readdirSync, readFileSync } from 'node:fs'

const folder = new URL('./', import.meta.url)

/** The text of a file of this folder, such as `proxy/redirect.hbs`. */
export function readTemplateFile(path: string): string {
  return readFileSync(new URL(path, folder), 'utf8')
}

/** The files of a subfolder, sorted: `crds` gives `crds/server.hbs` and so on. */
export function templateFilesIn(subfolder: string): string[] {
  return readdirSync(new URL(`${subfolder}/`, folder))
    .filter((name) => name.endsWith('.hbs'))
    .map((name) => `${subfolder}/${name}`)
    .sort()
}
