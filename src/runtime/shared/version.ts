/** The version of mesh: the CLI, the controllers and the proxy are released together. */
export const meshVersion = '0.1.0'
