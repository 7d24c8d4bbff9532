import { dirname, relative, resolve, sep } from 'node:path'

/** The first line of a service file, from which editors know its fields; empty where there is no schema to name. */
export function schemaComment(schema: string | undefined): string {
  return schema === undefined ? '' : `# yaml-language-server: $schema=${schema}\n`
}

/**
 * How a service file refers to the schema: by a relative path, where kyconnect is installed in the node_modules of a folder above the
 * file. Then it works for everyone who clones the repository. Elsewhere it is undefined: an absolute path would be right on this machine only.
 * @param schemaFile the installed schema/service.schema.json, absolute
 * @param serviceFile the file to be written
 */
export function schemaReference(schemaFile: string, serviceFile: string): string | undefined {
  const modules = schemaFile.lastIndexOf(`${sep}node_modules${sep}`)
  const project = modules === -1 ? undefined : schemaFile.slice(0, modules)
  const isInProject = project !== undefined && resolve(serviceFile).startsWith(project + sep)
  return isInProject
    ? relative(dirname(resolve(serviceFile)), schemaFile)
        .split(sep)
        .join('/')
    : undefined
}
