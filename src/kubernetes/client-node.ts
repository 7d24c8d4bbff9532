/** What a kubeconfig says and how it authenticates is the Kubernetes client's business: one chunk of the built program, loaded by kubeconfig.ts alone. */
export { KubeConfig } from '@kubernetes/client-node/dist/config.js'
