"""Parse input into types. No writes, no rights: services and authz have those."""
