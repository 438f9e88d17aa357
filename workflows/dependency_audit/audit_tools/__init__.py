"""The tools of the dependency audit: readers of what pip wrote down when it installed a package.

Each public function of `environment`, `package`, `files`, `across` and `report` is a worker of
`dependency_audit.orch`; `metadata` is what they share. The tools read files below one site-packages
folder and the files that a RECORD names. They import and run nothing of the environment they look
at, and ask no network. They need `packaging` and the standard library.
"""
