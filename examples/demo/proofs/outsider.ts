import { runPod, type World } from '../world.ts'

/** What a client without a certificate was told. */
export interface CallAnswer {
  status?: number
  headers?: Record<string, string>
  error?: string
}

/** Calls a URL from a pod that has no proxy. */
export async function callFromOutside(world: World, pod: string, url: string): Promise<CallAnswer> {
  const log = await runPod(world, pod, { image: 'localhost/mesh/shop', args: ['call', url] })
  return JSON.parse(log.trim().split('\n').at(-1) ?? '{}') as CallAnswer
}
