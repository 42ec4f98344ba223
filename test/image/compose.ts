import { type CommandOptions, command, docker, type Inspection, inspect } from './docker.ts'

/** `docker-compose.yml` of a checkout, run as a project of its own. */
interface Project {
  compose(args: readonly string[], options?: Omit<CommandOptions, 'cwd'>): Promise<string>
  /** A service's container. */
  container(service: string): Promise<Inspection>
  /** What the project has made and not removed, by kind. */
  remains(): Promise<Readonly<Record<'containers' | 'networks' | 'volumes', string>>>
}

/** @param env what the operator has set in the shell */
export async function composeProject(name: string, folder: string, env: NodeJS.ProcessEnv): Promise<Project> {
  const program = await composeCommand()
  // Nothing of the shell this test was started from.
  const base = { PATH: process.env['PATH'], HOME: process.env['HOME'], COMPOSE_PROJECT_NAME: name, ...env }
  const filter = ['--filter', `label=com.docker.compose.project=${name}`]
  const compose: Project['compose'] = async (args, options = {}) => {
    const [file = '', ...before] = program
    const { stdout } = await command(file, [...before, ...args], {
      ...options,
      cwd: folder,
      env: { ...base, ...options.env }
    })
    return stdout.trim()
  }
  return {
    compose,
    container: async service => inspect(await compose(['ps', '--quiet', service])),
    remains: async () => ({
      containers: await docker('ps', '--all', '--quiet', ...filter),
      networks: await docker('network', 'ls', '--quiet', ...filter),
      volumes: await docker('volume', 'ls', '--quiet', ...filter)
    })
  }
}

/** `DOCKER_COMPOSE` where it is set, the old command where there is one, else the engine's. */
export async function composeCommand(): Promise<readonly string[]> {
  const asked = process.env['DOCKER_COMPOSE']
  if (asked !== undefined) return asked.split(' ')
  const old = await command('docker-compose', ['version']).catch(() => undefined)
  return old === undefined ? ['docker', 'compose'] : ['docker-compose']
}
