"""From an exported graph to a checked, named workflow: reading exports, drafting maps, checking, describing."""
