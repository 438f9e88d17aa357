(schema name: (identifier) @name) @definition.type
(worker name: (identifier) @name) @definition.function
(verifier name: (identifier) @name) @definition.function
(orchestrator name: (identifier) @name) @definition.function
(model name: (identifier) @name) @definition.constant
(server name: (identifier) @name) @definition.constant
(template name: (identifier) @name) @definition.constant
((block name: (identifier) @_word . (qualified (identifier) @name)) @definition.constant
  (#eq? @_word "step"))
(param name: (identifier) @name) @definition.constant
