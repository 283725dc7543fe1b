/** What children see of the environment without being told: where things are, which language and time zone it is. */
const allowed = [
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TEMP|TMP|TZ|LANG|LANGUAGE|LC_\w+|NODE_ENV|TERM|NO_COLOR|FORCE_COLOR)$/,
  // Windows starts nothing without these.
  /^(?:SystemRoot|SystemDrive|ComSpec|PATHEXT|USERPROFILE|APPDATA|LOCALAPPDATA|ProgramData)$/i,
];

/**
 * The environment of a child. Secrets of the application do not belong there, and neither does `NODE_OPTIONS`.
 *
 * @param names variables to pass on beside the usual ones.
 */
export function childEnvironment(names: readonly string[], environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const passes = (name: string): boolean => names.includes(name) || allowed.some((pattern) => pattern.test(name));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => passes(name)));
}
