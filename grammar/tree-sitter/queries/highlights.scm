; Later patterns win where two match the same node.

(identifier) @variable
(number) @number
(string) @string
(constant) @constant.builtin
(comment) @comment
(doc_comment) @comment.documentation

((comment) @keyword.directive
  (#match? @keyword.directive "^//\\s*orch:\\s*allow"))

[
  "orch" "schema" "model" "server" "template" "worker" "verifier" "orchestrator" "test" "param"
  "secret" "fails" "for" "via" "as" "assert" "else" "if"
] @keyword
["import" "from"] @keyword.import
["and" "or" "not" "in" "is"] @keyword.operator
["=" "==" "!=" "<=" ">=" "<" ">" "+" "-" "~" "*" "/" "%" "**" "->" "|" "?"] @operator
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
["," "." ":"] @punctuation.delimiter

(schema name: (identifier) @type.definition)
(worker name: (identifier) @function)
(verifier name: (identifier) @function)
(orchestrator name: (identifier) @function)
(model name: (identifier) @constant)
(server name: (identifier) @constant)
(template name: (identifier) @constant)
(param name: (identifier) @constant)
(secret name: (identifier) @constant)
(via kind: (identifier) @type.builtin)

(named_type (identifier) @type)
((named_type (identifier) @type.builtin)
  (#any-of? @type.builtin
    "string" "int" "float" "bool" "json" "url" "path" "email" "date" "datetime" "duration"))

(field name: (identifier) @variable.member)
(setting name: (identifier) @property)
(block name: (identifier) @property)
((block name: (identifier) @keyword . (qualified (identifier) @variable))
  (#eq? @keyword "step"))
(entry key: (identifier) @property)
(keyword name: (identifier) @variable.parameter)
(attribute name: (identifier) @variable.member)
(filter name: (identifier) @function.call)
(constraint "@" @attribute name: (identifier) @attribute)
