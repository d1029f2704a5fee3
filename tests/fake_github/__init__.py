"""A GitHub on loopback that remembers: real HTTP in front of a state that tests set up and assert.

State       state.py World, Clock, Actor, Token · repository.py · issue.py · git_store.py
HTTP        wire.py Request, Reply · loopback.py · server.py FakeGitHub · faults.py
REST        call.py routes, permissions, pages · rest.py issues and labels · git_data.py files and git objects
            render.py, render_git.py the state as JSON · validate.py GitHub's OpenAPI description
GraphQL     graphql.py graphql-core on GitHub's schema · graphql_fields.py, graphql_lists.py, graphql_roots.py
            connection.py paging · context.py who asks · allowance.py points and their hour
pytest      fixtures.py `github`, `demo`, `stranger`, `published`
"""
