"""One module a command: `configure(parser)` adds its options, `run(args)` carries it out."""
