/** The document at `/<app>/v1/metadata/api.yaml`: the paths of docs/contract.md §9, not Kyma's own text. */
export const REGISTRY_API = `swagger: "2.0"
info:
  title: Application Registry (sandbox)
  version: "1.0"
basePath: /v1/metadata
consumes: [application/json]
produces: [application/json]
paths:
  /services:
    get:
      summary: Lists the registered services
      responses:
        "200": { description: A list of services without their details }
    post:
      summary: Registers a service
      responses:
        "200": { description: The id of the service }
        "400": { description: The definition is not valid }
        "409": { description: The identifier is in use }
        "502": { description: The specification could not be fetched }
  /services/{serviceId}:
    parameters:
      - { name: serviceId, in: path, required: true, type: string }
    get:
      summary: Reads a service with its details
      responses:
        "200": { description: The service, its secrets starred }
        "404": { description: There is no such service }
    put:
      summary: Updates a service
      responses:
        "200": { description: The base fields of the service }
        "400": { description: The definition is not valid }
        "404": { description: There is no such service }
    delete:
      summary: Removes a service
      responses:
        "204": { description: The service is gone }
`
