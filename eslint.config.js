// The lint of the JavaScript that the local server sends to browsers.
import js from "@eslint/js";
import globals from "globals";

// Text of a payload, a map or a result must never be read as markup or as a program: elements are made by DOM calls.
const MARKUP = ["innerHTML", "outerHTML", "insertAdjacentHTML", "setHTMLUnsafe", "parseHTMLUnsafe", "srcdoc"];

export default [
  { ignores: ["engine/server/viewer/vendored/"] },
  js.configs.recommended,
  {
    files: ["engine/server/**/*.js"],
    languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-script-url": "error",
      "no-restricted-properties": [
        "error",
        ...MARKUP.map((property) => ({ property, message: "Make elements by DOM calls, and set textContent." })),
        { object: "document", property: "write", message: "Make elements by DOM calls." },
        { object: "document", property: "writeln", message: "Make elements by DOM calls." },
      ],
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
