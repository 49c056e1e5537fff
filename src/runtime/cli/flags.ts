import { Flags } from '@oclif/core'
import type { OutputFormat } from './output.ts'

/** How to reach a cluster: names and meaning are those of kubectl. */
export const connectionFlags = {
  kubeconfig: Flags.string({
    description: 'Path of the kubeconfig file; else $KUBECONFIG, else ~/.kube/config',
    helpGroup: 'CLUSTER',
  }),
  context: Flags.string({ description: 'Context of the kubeconfig to use', helpGroup: 'CLUSTER' }),
  as: Flags.string({ description: 'User to impersonate', helpGroup: 'CLUSTER' }),
  'as-group': Flags.string({
    description: 'Group to impersonate; repeatable',
    multiple: true,
    helpGroup: 'CLUSTER',
  }),
}

/** The namespace that a command looks at. */
export const namespaceFlag = {
  namespace: Flags.string({
    char: 'n',
    description: 'Namespace; else that of the context',
    helpGroup: 'CLUSTER',
  }),
}

export const allNamespacesFlag = {
  'all-namespaces': Flags.boolean({
    char: 'A',
    description: 'All namespaces',
    exclusive: ['namespace'],
    helpGroup: 'CLUSTER',
  }),
}

/** Where the control plane is. */
export const meshNamespaceFlag = {
  'linkerd-namespace': Flags.string({
    char: 'L',
    description: 'Namespace of the control plane',
    aliases: ['mesh-namespace'],
    env: 'LINKERD_NAMESPACE',
    default: 'linkerd',
    helpGroup: 'CLUSTER',
  }),
}

/** `-o`, with the formats that a command has; the first is the default. */
export function outputFlag<const Format extends string>(formats: readonly [Format, ...Format[]]) {
  return {
    output: Flags.option({
      char: 'o',
      description: 'Format of the output',
      options: formats,
      default: formats[0] as Format,
    })(),
  }
}

/** `-o` of commands that show rows. */
export const tableOutputFlag = outputFlag<OutputFormat>(['table', 'wide', 'json', 'yaml'])

/** What {@link connectionFlags} and {@link namespaceFlag} were parsed to. */
export interface ConnectionFlagValues {
  kubeconfig?: string | undefined
  context?: string | undefined
  as?: string | undefined
  'as-group'?: string[] | undefined
  namespace?: string | undefined
}

/** How to reach a cluster; `connect` of `src/runtime/kube/client.ts` takes the same. */
export interface ConnectionOptions {
  kubeconfig?: string
  context?: string
  namespace?: string
  /** User to impersonate. */
  as?: string
  /** Groups to impersonate. */
  asGroup?: string[]
}

/** The connection that a command line asks for. */
export function connectionFrom(flags: ConnectionFlagValues): ConnectionOptions {
  return {
    ...(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig }),
    ...(flags.context === undefined ? {} : { context: flags.context }),
    ...(flags.namespace === undefined ? {} : { namespace: flags.namespace }),
    ...(flags.as === undefined ? {} : { as: flags.as }),
    ...(flags['as-group'] === undefined ? {} : { asGroup: flags['as-group'] }),
  }
}

/** The same flags again, for another program that reaches the same cluster. */
export function connectionArgs(flags: ConnectionFlagValues): string[] {
  const { kubeconfig, context, as, 'as-group': groups = [] } = flags
  return [
    ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
    ...(context === undefined ? [] : [`--context=${context}`]),
    ...(as === undefined ? [] : [`--as=${as}`]),
    ...groups.map((group) => `--as-group=${group}`),
  ]
}
