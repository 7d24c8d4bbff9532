/** One chunk of the built program, loaded by kubeconfig-file.ts alone: a command without a kubeconfig needs no YAML. */
export { load as parseYaml } from 'js-yaml'
