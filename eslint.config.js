import tseslint from 'typescript-eslint'

/** Type-aware and strict for what is TypeScript; the few plain scripts are only checked for types by reading them. */
export default tseslint.config(
  { ignores: ['.stryker-tmp/', 'dist/', 'node_modules/', 'coverage/', '**/*.js', '**/*.cjs'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    // What the process gives is gathered in one place and handed on as arguments.
    files: ['src/**/*.ts'],
    ignores: [
      'src/cli/start.ts',
      'src/cli/code-cache.ts',
      'src/cli/launch.ts',
      'src/cli/create-context.ts',
      'src/runtime.ts',
      'src/sandbox/**',
    ],
    rules: { 'no-restricted-globals': ['error', 'process', 'console'] },
  },
)
