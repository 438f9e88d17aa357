; Prompts, goals and messages are Jinja2 templates.
((content) @injection.content
  (#match? @injection.content "\\{[{%#]")
  (#set! injection.language "jinja"))
