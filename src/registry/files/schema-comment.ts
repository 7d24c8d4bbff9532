import { dirname, relative, resolve, sep } from 'node:path'

/** The first line of a service file, from which editors know its fields. */
export function schemaComment(schema: string): string {
  return `# yaml-language-server: $schema=${schema}`
}

/**
 * How a service file refers to the schema. With kyconnect installed in the project, a relative path works for all who clone it, and without a
 * network. Otherwise the absolute path of the installed schema works on this machine, which a URL would not do without a network.
 * @param schemaFile the installed schema/service.schema.json, absolute
 * @param serviceFile the file to be written, absolute
 */
export function schemaReference(schemaFile: string, serviceFile: string): string {
  const modules = schemaFile.lastIndexOf(`${sep}node_modules${sep}`)
  const project = modules === -1 ? undefined : schemaFile.slice(0, modules)
  const isInProject = project !== undefined && resolve(serviceFile).startsWith(project + sep)
  return (isInProject ? relative(dirname(serviceFile), schemaFile) : schemaFile).split(sep).join('/')
}
