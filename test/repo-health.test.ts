import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { importsOf, readSource, resolveImport, sourceFiles } from './support/source-tree.ts'

const test = suite('repository')

const layers = [
  'src/commands',
  'src/templates',
  'src/checks',
  'src/runtime/actions',
  'src/runtime/cli',
  'src/runtime/tui',
  'src/runtime/kube',
  'src/runtime/pki',
  'src/runtime/proto',
  'src/runtime/control',
  'src/runtime/local',
  'src/runtime/dashboard',
  'src/runtime/shared',
] as const
type Layer = (typeof layers)[number]

/** Who may import whom; see ARCHITECTURE.md. A layer may always import itself. */
const allowed: Record<Layer, readonly Layer[]> = {
  'src/commands': [
    'src/runtime/actions',
    'src/runtime/cli',
    'src/runtime/tui',
    'src/runtime/shared',
    'src/checks',
  ],
  'src/templates': ['src/runtime/shared'],
  'src/checks': ['src/runtime/kube', 'src/runtime/pki', 'src/runtime/shared'],
  'src/runtime/actions': [
    'src/checks',
    'src/templates',
    'src/runtime/kube',
    'src/runtime/local',
    'src/runtime/pki',
    'src/runtime/proto',
    'src/runtime/shared',
  ],
  'src/runtime/cli': ['src/runtime/shared'],
  'src/runtime/tui': ['src/runtime/shared'],
  'src/runtime/kube': ['src/runtime/shared'],
  'src/runtime/pki': ['src/runtime/shared'],
  'src/runtime/proto': [],
  'src/runtime/control': ['src/runtime/kube', 'src/runtime/pki', 'src/runtime/proto', 'src/runtime/shared'],
  'src/runtime/local': ['src/runtime/kube', 'src/runtime/pki', 'src/runtime/shared'],
  'src/runtime/dashboard': ['src/runtime/shared'],
  'src/runtime/shared': [],
}

/**
 * Exceptions by file prefix: the injector renders the proxy from the installer's templates, and `mesh inject --manual`
 * is the injector's pure core.
 */
const exceptions: readonly { from: string; to: Layer }[] = [
  { from: 'src/runtime/control/injector/', to: 'src/templates' },
  { from: 'src/runtime/actions/inject-manual.ts', to: 'src/runtime/control' },
]

function layerOf(file: string): Layer | undefined {
  return layers.find((layer) => file.startsWith(`${layer}/`))
}

const typescript = sourceFiles(/^(src|test|bin|examples)\/.*\.tsx?$/).filter(
  (file) => !file.includes('/gen/'),
)
const product = typescript.filter((file) => file.startsWith('src/'))

test('imports point downwards only', () => {
  const wrong = product.flatMap((file) => {
    const from = layerOf(file)
    if (from === undefined) return [`${file} is in no layer`]
    return importsOf(file).flatMap((specifier) => {
      const target = resolveImport(file, specifier)
      const to = target === undefined ? undefined : layerOf(target)
      if (to === undefined || to === from || allowed[from].includes(to)) return []
      if (exceptions.some((exception) => file.startsWith(exception.from) && exception.to === to)) return []
      return [`${file} imports ${target}`]
    })
  })
  assert.equal(wrong, [])
})

test('one controller never imports another', () => {
  // `cluster/` holds what discovery and policy both watch; the others are processes, or parts of one.
  const controllers = ['identity', 'injector', 'destination', 'policy', 'viz', 'multicluster']
  const controllerOf = (file: string) => {
    const folder = file.match(/^src\/runtime\/control\/([^/]+)\//)?.[1]
    return folder !== undefined && controllers.includes(folder) ? folder : undefined
  }
  const wrong = product.flatMap((file) => {
    const own = controllerOf(file)
    if (own === undefined) return []
    return importsOf(file).flatMap((specifier) => {
      const target = resolveImport(file, specifier)
      const other = target === undefined ? undefined : controllerOf(target)
      // One process serves discovery and policy; its entry joins them.
      const isEntry = file === 'src/runtime/control/destination/main.ts' && other === 'policy'
      if (other === undefined || other === own || isEntry) return []
      return [`${file} imports ${target}`]
    })
  })
  assert.equal(wrong, [])
})

test('there are no import cycles', () => {
  const graph = new Map(
    product.map((file) => [file, importsOf(file).map((specifier) => resolveImport(file, specifier) ?? '')]),
  )
  const finished = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, trail: string[]) => {
    if (trail.includes(file)) {
      cycles.push([...trail.slice(trail.indexOf(file)), file].join(' → '))
      return
    }
    if (finished.has(file)) return
    for (const next of graph.get(file) ?? []) if (graph.has(next)) visit(next, [...trail, file])
    finished.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  assert.equal(cycles, [])
})

test('react and ink appear in the terminal interface alone', () => {
  const wrong = product.filter(
    (file) =>
      !file.startsWith('src/runtime/tui/') && importsOf(file).some((name) => /^(react|ink)(\/|$)/.test(name)),
  )
  assert.equal(wrong, [])
})

test('only the kube layer imports the Kubernetes client library', () => {
  const wrong = product.filter(
    (file) =>
      !file.startsWith('src/runtime/kube/') &&
      importsOf(file).some((name) => name.startsWith('@kubernetes/')),
  )
  assert.equal(wrong, [])
})

test('only env.ts reads the environment', () => {
  const wrong = product.filter(
    (file) => file !== 'src/runtime/shared/env.ts' && /\bprocess\.env\b/.test(readSource(file)),
  )
  assert.equal(wrong, [])
})

test('only process entries end the process', () => {
  // The relay is the text of a program of its own, which runs in a pod's network.
  const entries = [
    'src/runtime/control/main.ts',
    'src/runtime/local/daemon.ts',
    'src/runtime/local/node/port-relay.ts',
  ]
  const wrong = product.filter(
    (file) => !entries.includes(file) && /\bprocess\.exit\(/.test(readSource(file)),
  )
  assert.equal(wrong, [])
})

test('names say what a file holds', () => {
  const vague = /(^|[/-])(utils?|helpers?|managers?|common|misc)([.-]|\/|$)/
  // Handlebars calls the functions of a template helpers: the field's own term.
  const wrong = sourceFiles(/^(src|test|bin|examples)\//).filter(
    (file) => vague.test(file) && file !== 'src/templates/helpers.ts',
  )
  assert.equal(wrong, [])
  assert.equal(
    product.filter((file) => /\/index\.tsx?$/.test(file)),
    [],
    'barrels hide where things are',
  )
})

test('files stay short', () => {
  const limit = 500
  const long = [...typescript, ...sourceFiles(/\.rs$/)]
    .map((file) => ({ file, lines: readSource(file).split('\n').length }))
    .filter(({ file, lines }) => lines > (file.endsWith('.rs') ? 700 : limit))
  assert.equal(long, [])
})

test('every test file runs its suite and hides no test', () => {
  const files = typescript.filter((file) => /\.(test|e2e)\.tsx?$/.test(file))
  assert.ok(files.length > 10)
  const wrong = files.filter((file) => {
    const source = readSource(file)
    return !/\.run\(\)/.test(source) || /\b(test|suite)\.(only|skip)\(/.test(source)
  })
  assert.equal(
    wrong.filter((file) => file !== 'test/repo-health.test.ts'),
    [],
  )
})

test('dependencies are pinned', () => {
  const manifest = JSON.parse(readSource('package.json')) as Record<string, Record<string, string>>
  const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
    ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
  )
  assert.equal(loose, [])
})

test('no registry host and no path of one machine is committed', () => {
  const lock = readSource('package-lock.json')
  assert.not.match(lock, /"resolved"/)
  const files = sourceFiles(/\.(tsx?|rs|md|json|ya?ml|hbs|toml|sh|proto)$|^bin\/[^.]+$/)
  const wrong = files.filter((file) => /(^|[\s"'=(`])\/(root|home\/[a-z]+|work)\//m.test(readSource(file)))
  assert.equal(
    wrong.filter((file) => file !== 'test/repo-health.test.ts'),
    [],
  )
})

const codePattern = /\bMESH_[A-Z0-9]+(?:_[A-Z0-9]+)*\b/g
/** Environment variables and test settings share the prefix but are no error codes. */
const notErrorCodes = readSource('docs/environment.md').match(codePattern) ?? []

test('every error code is documented, and every documented code exists', () => {
  const used = new Set<string>()
  for (const file of [...product, ...sourceFiles(/^src\/runtime\/proxy\/src\/.*\.rs$/)]) {
    for (const [, code] of readSource(file).matchAll(/["'`](MESH_[A-Z0-9]+(?:_[A-Z0-9]+)*)(?=["'`: ])/g))
      used.add(code ?? '')
  }
  for (const name of notErrorCodes) used.delete(name)
  // Parts that codes are made of, and codes of unit tests.
  for (const name of used) if (/^MESH_(PROXY|TEST.*)$/.test(name)) used.delete(name)
  const documented = new Set(
    [...readSource('docs/errors.md').matchAll(/^### `(MESH_[A-Z0-9_]+)`/gm)].map((match) => match[1] ?? ''),
  )
  assert.equal(
    {
      undocumented: [...used].filter((code) => !documented.has(code)).sort(),
      unused: [...documented].filter((code) => !used.has(code)).sort(),
    },
    { undocumented: [], unused: [] },
  )
})

test.run()
