import { Flags } from '@oclif/core'
import { parseWait } from '../../runtime/actions/check.ts'
import { localStart } from '../../runtime/actions/local-start.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import { processEnv } from '../../runtime/shared/env.ts'

export default class LocalStart extends BaseCommand {
  static override summary = 'Start a cluster on this machine, without Kubernetes'
  static override description =
    'Pods run as processes in network namespaces of their own. An image name stands for a command on this machine. A cluster that runs already is left alone, but for the images. Limits of CPU and memory are not enforced.'
  static override examples = [
    '<%= config.bin %> local start',
    "<%= config.bin %> local start --image 'web=/usr/bin/python3 -m http.server 8080'",
  ]
  static override flags = {
    name: Flags.string({ description: 'Name of the cluster', default: 'mesh' }),
    port: Flags.integer({
      description: 'Port of the API server on 127.0.0.1; any free one when 0',
      default: 0,
      min: 0,
      max: 65535,
    }),
    image: Flags.string({
      description: 'NAME=COMMAND: what an image stands for; repeatable',
      multiple: true,
      multipleNonGreedy: true,
    }),
    wait: Flags.string({ description: 'How long to wait for the cluster', default: '60s' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(LocalStart)
    const { name, port, image: images = [] } = flags
    const waitMs = parseWait(flags.wait)
    const { outcome, kubeconfig } = await localStart({ name, port, images, waitMs }, processEnv)
    const what = outcome === 'started' ? 'runs' : 'runs already'
    this.output.data(`The cluster ${name} ${what}.\n\nUse it:\n  export KUBECONFIG=${kubeconfig}\n`)
    this.output.data('  mesh install --crds | kubectl apply -f -\n  mesh install | kubectl apply -f -\n')
    const flag = name === 'mesh' ? '' : ` --name ${name}`
    this.output.data(`\nEnd it:\n  mesh local stop${flag}\n`)
  }
}
