/**
 * The orch language for tree-sitter: what editors need to highlight, fold and select.
 *
 * It follows `../orch.lark`, with which the tests compare it: bodies are generic, an expression is
 * a flat sequence of operands and operators, and keywords are ordinary names wherever a name may
 * stand. What Lark's terminals say with a look-ahead (`if` is a name before `=`) is left to
 * tree-sitter's parallel parsing here: both readings are tried, and `=` decides.
 */

/// <reference types="tree-sitter-cli/dsl" />

const listed = (separator, rule) => seq(rule, repeat(seq(separator, rule)));
const bracketed = (open, rule, close) =>
  seq(open, optional(seq(listed(",", rule), optional(","))), close);

/** Keywords that may be names anywhere. */
const SOFT = [
  "orch", "import", "from", "as", "param", "secret", "schema", "model", "server", "template",
  "worker", "verifier", "orchestrator", "test", "fails", "for", "via",
];
/** Words of expressions, which may be names of settings and fields, and after a dot. */
const HARD = ["and", "or", "not", "in", "is", "if", "else"];
const CONSTANTS = ["true", "false", "null"];

module.exports = grammar({
  name: "orch",

  word: ($) => $._word,
  extras: ($) => [/[\s\ufeff\u0085\u00a0\u2028\u2029]/, $.doc_comment, $.comment],
  supertypes: ($) => [$._declaration, $._type, $._member],
  inline: ($) => [$._variable, $._member_name, $._any_name],

  conflicts: ($) => [
    [$.assertion, $.identifier_of_member],
    [$.operand],
    [$.expression],
    [$.flat],
    [$.is_test, $.identifier_of_member],
  ],

  rules: {
    source_file: ($) => repeat($._declaration),

    _declaration: ($) =>
      choice(
        $.edition,
        $.import,
        $.import_names,
        $.param,
        $.secret,
        $.schema,
        $.model,
        $.server,
        $.template,
        $.worker,
        $.verifier,
        $.orchestrator,
        $.test,
      ),

    edition: ($) => seq("orch", field("version", $.number)),
    import: ($) => seq("import", field("path", $.string), "as", field("name", $._any_name)),
    import_names: ($) =>
      prec.right(seq("from", field("path", $.string), "import", listed(",", $.imported))),
    imported: ($) =>
      prec.right(seq(field("name", $._any_name), optional(seq("as", field("alias", $._any_name))))),
    param: ($) =>
      seq("param", field("name", $._any_name), ":", $._typed, optional($._defaulted)),
    secret: ($) => seq("secret", field("name", $._any_name)),
    schema: ($) =>
      seq(
        "schema",
        field("name", $._any_name),
        choice(
          field("body", $.record_body),
          seq("from", field("path", $.string)),
          seq("=", $._typed),
        ),
      ),
    model: ($) => seq("model", field("name", $._any_name), field("body", $.body)),
    server: ($) =>
      seq("server", field("name", $._any_name), $.via, field("body", $.body)),
    template: ($) =>
      seq("template", field("name", $._any_name), optional($.inputs), $.default),
    worker: ($) =>
      seq(
        "worker",
        field("name", $._any_name),
        $.inputs,
        $.output,
        optional($.fails),
        $.via,
        field("body", $.body),
      ),
    verifier: ($) =>
      seq("verifier", field("name", $._any_name), $.inputs, $.via, field("body", $.body)),
    orchestrator: ($) =>
      seq(
        "orchestrator",
        field("name", $._any_name),
        $.inputs,
        $.output,
        optional($.fails),
        field("body", $.body),
      ),
    test: ($) =>
      seq("test", field("title", $.string), "for", field("target", $.qualified), field("body", $.body)),

    via: ($) => seq("via", field("kind", $._any_name)),
    output: ($) => seq("->", $._typed),
    fails: ($) => seq("fails", listed(",", $.qualified)),

    // ---- types

    _typed: ($) => prec.right(seq(field("type", $._type_or_union), repeat($.constraint))),
    _type_or_union: ($) => choice($._type, $.union),
    union: ($) => prec.right(seq($._type, repeat1(seq("|", $._type)))),
    _type: ($) => choice($.named_type, $.literal_type, $.record_type, $.group_type, $.array_type, $.optional_type),
    array_type: ($) => seq($._type, "[", "]"),
    optional_type: ($) => seq($._type, "?"),
    group_type: ($) => seq("(", $._type_or_union, ")"),
    named_type: ($) => prec.right(seq($._variable, repeat(seq(".", $._any_name)))),
    literal_type: ($) => choice($.string, seq(optional("-"), $.number), $.constant),
    record_type: ($) => bracketed("{", $.field, "}"),
    constraint: ($) =>
      seq("@", field("name", $._any_name), optional(bracketed("(", $.constraint_argument, ")"))),
    constraint_argument: ($) =>
      seq(optional(seq(field("name", $._member_name), ":")), $.expression),
    field: ($) =>
      seq(field("name", $._member_name), ":", $._typed, optional($._defaulted)),
    _defaulted: ($) => prec.right(seq($.default, repeat($.constraint))),
    default: ($) => seq("=", field("value", $.expression)),
    inputs: ($) => bracketed("(", $.field, ")"),

    // ---- bodies

    record_body: ($) =>
      seq("{", repeat(seq(choice($.field, $.assertion), optional(","))), "}"),
    body: ($) => seq("{", repeat(seq($._member, optional(","))), "}"),
    _member: ($) => choice($.setting, $.numbered, $.block, $.assertion),
    setting: ($) =>
      seq(field("name", $._member_name), "=", field("value", $.expression)),
    numbered: ($) => seq(field("name", $.number), "=", field("value", $.expression)),
    block: ($) =>
      seq(
        field("name", $._member_name),
        choice(repeat($.qualified), seq($.qualified, repeat1(seq(",", $.qualified)))),
        field("body", $.body),
      ),
    assertion: ($) =>
      prec.right(seq("assert", $.expression, optional(seq("else", field("message", $.expression))))),

    // ---- expressions

    expression: ($) =>
      seq($.flat, optional(seq("if", $.flat, "else", $.expression))),
    flat: ($) => seq($.operand, repeat(seq($.operator, $.operand))),
    operand: ($) =>
      seq(
        repeat(choice("-", "+", "not")),
        choice($._variable, $.number, $.string, $.constant, $.list, $.map, $.group),
        repeat(choice($.attribute, $.index, $.arguments, $.filter, $.is_test)),
      ),
    operator: ($) =>
      choice(
        "and", "or", "in", seq("not", "in"),
        "==", "!=", "<=", ">=", "<", ">", "+", "-", "~", "*", "/", "%", "**",
      ),
    list: ($) => bracketed("[", $.expression, "]"),
    map: ($) => bracketed("{", $.entry, "}"),
    entry: ($) =>
      seq(field("key", choice($._member_name, $.string)), ":", field("value", $.expression)),
    group: ($) => seq("(", $.expression, ")"),
    attribute: ($) => seq(".", choice(field("name", $._any_name), $.number)),
    index: ($) => seq("[", choice($.expression, $.slice), "]"),
    slice: ($) =>
      seq(optional($.expression), ":", optional($.expression), optional(seq(":", optional($.expression)))),
    arguments: ($) => bracketed("(", choice($.expression, $.keyword), ")"),
    keyword: ($) => seq(field("name", $._member_name), "=", field("value", $.expression)),
    filter: ($) => seq("|", field("name", $._any_name)),
    is_test: ($) => prec.right(seq("is", optional("not"), field("name", $._any_name))),

    constant: (_) => choice(...CONSTANTS),

    // ---- names

    qualified: ($) => prec.right(seq($._any_name, repeat(seq(".", $._any_name)))),
    identifier: ($) => choice($._word, ...SOFT),
    identifier_of_member: (_) => choice(...HARD, ...CONSTANTS, "assert"),
    _variable: ($) => choice($.identifier, alias("assert", $.identifier)),
    _member_name: ($) => choice($.identifier, alias($.identifier_of_member, $.identifier)),
    _any_name: ($) => choice($.identifier, alias($.identifier_of_member, $.identifier)),

    // ---- terminals

    // The ranges are those that Unicode's table gives by their ends only.
    _word: (_) =>
      /[\p{L}\p{Nl}_\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3][\p{L}\p{M}\p{N}_\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]*/,
    number: (_) =>
      token(/\$?[0-9][0-9_]*(\.[0-9][0-9_]*)?([eE][+-][0-9]+)?[\p{L}\p{N}_]*(\.[0-9]+[\p{L}\p{N}_]*)*%?/),
    string: ($) =>
      choice(
        seq('"', optional(alias($._quoted, $.content)), token.immediate('"')),
        seq('"""', optional(alias($._text, $.content)), token.immediate('"""')),
      ),
    _quoted: (_) => token.immediate(prec(1, /([^"\\\n]|\\.)+/)),
    _text: (_) => token.immediate(prec(1, /([^"]|"[^"]|""[^"])+/)),
    doc_comment: (_) => token(prec(1, /\/\/\/([^\/\n][^\n]*)?/)),
    comment: (_) => token(prec(1, /\/\/[^\n]*/)),
  },
});
