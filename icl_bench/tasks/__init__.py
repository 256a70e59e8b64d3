"""lm-evaluation-harness tasks: a YAML file for each kind of question, with and without documents in context."""
