/**
 * The folder of this package, which holds `package.json` and `examples/`. As far from `src/cli/` as from `dist/cli/`, where all of the
 * packaged command lies in one folder.
 */
export const packageFolder = new URL("../../", import.meta.url)
