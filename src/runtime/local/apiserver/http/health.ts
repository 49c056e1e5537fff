import { meshVersion } from '../../../shared/version.ts'
import { type ApiResponse, textResponse } from './message.ts'

const healthPath = /^\/(healthz|livez|readyz)(\/.*)?$/

/** The server is healthy as long as it answers. */
export function answerHealth(path: string): ApiResponse | undefined {
  return healthPath.test(path) ? textResponse(200, 'ok') : undefined
}

/** What `/version` tells; kubectl's dispatcher chooses its own version by `minor`. */
export function versionInfo(minor: number): Record<string, string> {
  return {
    major: '1',
    minor: String(minor),
    gitVersion: `v1.${minor}.0+mesh.${meshVersion}`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: 'node',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}
