import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { MeshError, messageOf } from '../shared/errors.ts'

/**
 * A file as text, or standard input for `-`.
 * @throws MeshError `MESH_FILE_UNREADABLE`
 */
export async function readTextFile(path: string): Promise<string> {
  if (path === '-') return await text(process.stdin)
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    throw new MeshError({
      code: 'MESH_FILE_UNREADABLE',
      kind: 'usage',
      message: `cannot read ${path}`,
      reason: messageOf(thrown),
      cause: thrown,
    })
  }
}
