"""A GitHub on loopback that remembers: real HTTP in front of a state that tests set up and assert. See README.md."""
