[
  (body)
  (record_body)
  (record_type)
  (inputs)
  (list)
  (map)
  (string)
] @fold
