"""Git objects as the JSON that REST sends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tests.fake_github.git_store import Commit, GitStore, Ident
from tests.fake_github.render import Object, Render, stamp
from tests.fake_github.repository import Repository
from tests.fake_github.state import Actor
from tests.fake_github.wire import Json


@dataclass(frozen=True)
class RenderGit(Render):
    """Renders refs, commits and trees besides all else."""

    def ref(self, repository: Repository, name: str) -> Json:
        """`git-ref`."""
        sha, url = repository.git.refs[name], self.repo_url(repository)
        target: Json = {"type": "commit", "sha": sha, "url": f"{url}/git/commits/{sha}"}
        return {"ref": name, "node_id": f"REF_{name}", "url": f"{url}/git/{name}", "object": target}

    def git_commit(self, repository: Repository, sha: str) -> Json:
        """`git-commit`."""
        commit, url = repository.git.commits[sha], self.repo_url(repository)
        return self._commit_core(commit, url) | {
            "sha": sha,
            "node_id": f"C_{sha}",
            "url": f"{url}/git/commits/{sha}",
            "html_url": f"{url}/commit/{sha}",
            "parents": self._parents(commit, f"{url}/git/commits"),
        }

    def commit(self, repository: Repository, sha: str) -> Json:
        """`commit`, as the list of commits has it; accounts are found by their addresses."""
        commit, url = repository.git.commits[sha], self.repo_url(repository)
        known = {actor.email: actor for actor in repository.world.actors.values()}
        core = self._commit_core(commit, url) | {"url": f"{url}/git/commits/{sha}", "comment_count": 0}
        return {
            "sha": sha,
            "node_id": f"C_{sha}",
            "url": f"{url}/commits/{sha}",
            "html_url": f"{url}/commit/{sha}",
            "comments_url": f"{url}/commits/{sha}/comments",
            "commit": core,
            "author": self.user(known.get(commit.author.email)),
            "committer": self.user(known.get(commit.committer.email)),
            "parents": self._parents(commit, f"{url}/commits"),
        }

    def tree(self, repository: Repository, sha: str, recursive: bool) -> Json:
        """`git-tree`, one level or all of it."""
        git, url = repository.git, f"{self.repo_url(repository)}/git"
        paths = list(git.walk(sha)) if recursive else list(git.trees[sha].items())
        lines: list[Json] = []
        for path, entry in paths:
            line: Object = {"path": path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
            line["url"] = f"{url}/{entry.kind}s/{entry.sha}"
            lines.append(line | _size(git, entry.sha))
        return {"sha": sha, "url": f"{url}/trees/{sha}", "tree": lines, "truncated": False}

    def _commit_core(self, commit: Commit, url: str) -> Object:
        signature = "-----BEGIN PGP SIGNATURE-----" if commit.verified else None
        return {
            "message": commit.message,
            "author": _ident(commit.author),
            "committer": _ident(commit.committer),
            "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
            "verification": {
                "verified": commit.verified,
                "reason": "valid" if commit.verified else "unsigned",
                "signature": signature,
                "payload": commit.message if commit.verified else None,
                "verified_at": stamp(commit.committer.date) if commit.verified else None,
            },
        }

    def _parents(self, commit: Commit, url: str) -> Json:
        return [{"sha": sha, "url": f"{url}/{sha}", "html_url": f"{url}/{sha}"} for sha in commit.parents]

    def release(self, repository: Repository, tag: str, name: str, author: Actor, now: datetime) -> Json:
        """`release`, without files."""
        url, page = f"{self.repo_url(repository)}/releases/1", f"{self.base_url}/{repository.full_name}"
        places: dict[str, Json] = {"url": url, "assets_url": f"{url}/assets", "upload_url": f"{url}/assets"}
        places |= {"html_url": f"{page}/releases/tag/{tag}"}
        places |= {kind: f"{url}/{kind}/{tag}" for kind in ("tarball_url", "zipball_url")}
        times: dict[str, Json] = {"created_at": stamp(now), "published_at": stamp(now)}
        return {
            **places,
            **times,
            "id": 1,
            "node_id": "RE_1",
            "tag_name": tag,
            "target_commitish": repository.default_branch,
            "name": name,
            "body": None,
            "draft": False,
            "prerelease": False,
            "author": self.user(author),
            "assets": [],
        }


def _size(git: GitStore, sha: str) -> Object:
    return {"size": len(git.blobs[sha])} if sha in git.blobs else {}


def _ident(who: Ident) -> Json:
    return {"name": who.name, "email": who.email, "date": stamp(who.date)}
