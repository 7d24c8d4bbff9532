/** One chunk of the built program: js-yaml's parser without its dumper. yaml-tree.ts loads it. */
export { EVENT_ID, getScalarValue, parseEvents, SCALAR_STYLE, YAMLException } from 'js-yaml'
