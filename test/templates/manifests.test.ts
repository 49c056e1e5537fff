import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseAllDocuments } from 'yaml'
import { renderManifest } from '../../src/runtime/actions/manifest.ts'
import { resolveValues, type ValueInputs } from '../../src/runtime/actions/resolve-values.ts'
import { components } from '../../src/runtime/control/components.ts'
import { parseFlags } from '../../src/runtime/control/flags.ts'
import { renderControlPlane, renderCrds } from '../../src/templates/control-plane.ts'
import type { RenderedObject } from '../../src/templates/render.ts'
import type { Values } from '../../src/templates/values.ts'

const test = suite('templates/manifests')

/** One command renews them all: `MESH_UPDATE_GOLDEN=1 node --import tsx test/templates/manifests.test.ts`. */
const isUpdating = process.env.MESH_UPDATE_GOLDEN === '1'

const variants: Record<string, { inputs: ValueInputs; render: (values: Values) => RenderedObject[] }> = {
  'control-plane': { inputs: {}, render: renderControlPlane },
  'control-plane-ha': { inputs: { ha: true }, render: renderControlPlane },
  'control-plane-other': {
    inputs: {
      registry: 'registry.example/mesh/',
      set: [
        'namespace=mesh-system,clusterDomain=corp.local,disableIPv6=true,enableH2Upgrade=false',
        'proxy.skipSubnets=192.0.2.0/24,proxy.accessLog=json,proxy.resources.cpu.limit=1500m',
        'proxy.skipOutboundPorts=,controllerImage.pullPolicy=Always',
      ],
    },
    render: renderControlPlane,
  },
  crds: { inputs: {}, render: renderCrds },
  'crds-gateway-api': { inputs: { set: ['installGatewayAPI=true'] }, render: renderCrds },
}

const noFiles = async (path: string): Promise<string> => {
  throw new Error(`no file ${path}`)
}

async function render(name: string): Promise<{ text: string; objects: RenderedObject[]; values: Values }> {
  const variant = variants[name]
  if (variant === undefined) throw new Error(`no variant ${name}`)
  const values = await resolveValues(variant.inputs, noFiles)
  const objects = variant.render(values)
  return { text: renderManifest(objects, 'yaml'), objects, values }
}

for (const name of Object.keys(variants)) {
  test(`${name} is as recorded`, async () => {
    const file = fileURLToPath(new URL(`golden/${name}.yaml`, import.meta.url))
    const { text } = await render(name)
    if (isUpdating) {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
    assert.ok(existsSync(file), `there is no ${file}; renew it with MESH_UPDATE_GOLDEN=1`)
    assert.fixture(text, readFileSync(file, 'utf8'))
  })

  test(`${name} gives the same bytes twice, and reads back as the same objects`, async () => {
    const first = await render(name)
    const second = await render(name)
    assert.is(first.text, second.text)
    const readBack = parseAllDocuments(first.text, { version: '1.1' })
    assert.equal(
      (Array.isArray(readBack) ? readBack : []).map((document) => document.toJS()),
      first.objects,
    )
  })

  test(`${name} holds no key and no date`, async () => {
    const { text, objects } = await render(name)
    assert.not.match(text, /-----BEGIN|caBundle|PRIVATE KEY/)
    assert.not.match(text, /\b20\d\d-\d\d-\d\d/)
    assert.not.ok(objects.some(({ kind }) => kind === 'Secret'))
  })

  test(`${name} names each object once, in an order that can be applied`, async () => {
    const { objects, values } = await render(name)
    const names = objects.map(({ apiVersion, kind, metadata }) =>
      [apiVersion, kind, metadata.namespace ?? '', metadata.name].join(' '),
    )
    assert.is(new Set(names).size, names.length)
    const namespaceAt = objects.findIndex(({ kind }) => kind === 'Namespace')
    const firstNamespaced = objects.findIndex(({ metadata }) => metadata.namespace !== undefined)
    if (firstNamespaced !== -1) assert.ok(namespaceAt !== -1 && namespaceAt < firstNamespaced)
    for (const { metadata } of objects) {
      assert.is(metadata.labels?.['linkerd.io/control-plane-ns'], values.namespace, metadata.name)
      if (metadata.namespace !== undefined) assert.is(metadata.namespace, values.namespace)
    }
  })
}

/** Every container of the Deployments among objects. */
function containersOf(objects: readonly RenderedObject[]): Container[] {
  return objects
    .filter(({ kind }) => kind === 'Deployment')
    .flatMap((object) => {
      const { template } = object.spec as { template: { spec: PodSpec } }
      return [...template.spec.initContainers, ...template.spec.containers]
    })
}

interface Container {
  name: string
  args?: string[]
  env?: { name: string; value?: string }[]
  restartPolicy?: string
  securityContext: {
    runAsUser: number
    runAsNonRoot: boolean
    readOnlyRootFilesystem: boolean
    allowPrivilegeEscalation: boolean
    capabilities: { add?: string[]; drop: string[] }
  }
}

interface PodSpec {
  containers: Container[]
  initContainers: Container[]
}

test('only the container that loads the redirect rules has rights, and no file system is writable', async () => {
  const containers = containersOf((await render('control-plane')).objects)
  assert.is(containers.length, 10)
  for (const { name, securityContext } of containers) {
    const { capabilities, ...rest } = securityContext
    assert.equal(capabilities.drop, ['ALL'], name)
    assert.equal(capabilities.add, name === 'linkerd-init' ? ['NET_ADMIN', 'NET_RAW'] : undefined, name)
    assert.is(rest.runAsNonRoot, name !== 'linkerd-init', name)
    assert.is(rest.runAsUser === 0, name === 'linkerd-init', name)
    assert.is(rest.readOnlyRootFilesystem, true, name)
    assert.is(rest.allowPrivilegeEscalation, false, name)
  }
})

test('the proxy is a native sidecar, but beside identity, which it depends on', async () => {
  const { objects } = await render('control-plane')
  for (const object of objects.filter(({ kind }) => kind === 'Deployment')) {
    const { template } = object.spec as { template: { spec: PodSpec } }
    const isIdentity = object.metadata.name === 'linkerd-identity'
    const names = template.spec.initContainers.map(({ name }) => name)
    assert.is(names[0], 'linkerd-init')
    assert.is(names.includes('linkerd-proxy'), !isIdentity, object.metadata.name)
    const proxy = [...template.spec.initContainers, ...template.spec.containers].find(
      ({ name }) => name === 'linkerd-proxy',
    )
    assert.is(proxy?.restartPolicy, isIdentity ? undefined : 'Always')
  }
})

test('each controller reaches itself over loopback and the others by name', async () => {
  const { objects } = await render('control-plane-other')
  const address = (deployment: string, service: string) => {
    const own = objects.filter(({ kind, metadata }) => kind === 'Deployment' && metadata.name === deployment)
    const proxy = containersOf(own).find(({ name }) => name === 'linkerd-proxy')
    return proxy?.env?.find(({ name }) => name === `LINKERD2_PROXY_${service}_SVC_ADDR`)?.value
  }
  assert.is(address('linkerd-identity', 'IDENTITY'), '127.0.0.1:8080')
  assert.is(
    address('linkerd-identity', 'DESTINATION'),
    'linkerd-dst-headless.mesh-system.svc.corp.local.:8086',
  )
  assert.is(address('linkerd-destination', 'DESTINATION'), '127.0.0.1:8086')
  assert.is(address('linkerd-destination', 'POLICY'), '127.0.0.1:8090')
  assert.is(
    address('linkerd-proxy-injector', 'IDENTITY'),
    'linkerd-identity-headless.mesh-system.svc.corp.local.:8080',
  )
})

test('every controller knows the flags that it is given', async () => {
  const containers = containersOf((await render('control-plane-other')).objects).filter(
    ({ name }) => !name.startsWith('linkerd-'),
  )
  assert.equal(containers.map(({ name }) => name).sort(), [
    'destination',
    'identity',
    'identity-bootstrap',
    'proxy-injector',
  ])
  for (const { args = [] } of containers) {
    const [component = '', ...flags] = args
    const module = await components[component]?.load()
    const parsed = parseFlags(flags, component, '', module?.flags ?? {})
    assert.is(parsed.flags.controllerNamespace, 'mesh-system')
    assert.is(parsed.flags.clusterDomain, 'corp.local')
  }
})

test('JSON output is one List', async () => {
  const { objects } = await render('control-plane')
  const list = JSON.parse(renderManifest(objects, 'json')) as { kind: string; items: RenderedObject[] }
  assert.is(list.kind, 'List')
  assert.equal(list.items, objects)
})

test.run()
