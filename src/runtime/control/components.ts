import type { ComponentEntry } from './start.ts'

/**
 * The controllers of the image, by the name that the command line gives. Each exports `run(deps)` (see
 * {@link ControllerModule}) from its `main.ts` and is loaded only when it is asked for.
 */
export const components: Readonly<Record<string, ComponentEntry>> = {
  identity: { adminAddr: ':9990', load: () => import('./identity/main.ts') },
  'identity-bootstrap': { adminAddr: '', load: () => import('./identity/bootstrap.ts') },
  destination: { adminAddr: ':9996', load: () => import('./destination/main.ts') },
  'proxy-injector': { adminAddr: ':9995', load: () => import('./injector/main.ts') },
  'metrics-api': { adminAddr: ':9998', load: () => import('./viz/main.ts') },
}
