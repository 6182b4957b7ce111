"""Answers of a web server, without one."""

import requests


class Response:
    def __init__(self, body: bytes, status: int = 200) -> None:
        self.body, self.status = body, status
        self.headers = {"content-length": str(len(body))}

    def raise_for_status(self):
        if self.status != 200:
            raise requests.HTTPError(f"{self.status}")

    def iter_content(self, chunk_size):
        return (self.body[i : i + chunk_size] for i in range(0, len(self.body), chunk_size))
