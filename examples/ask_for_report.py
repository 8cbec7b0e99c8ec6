"""Ask `reports.py` for a report, and wait for it, whatever happens to the network and the server.

python ask_for_report.py [ws://127.0.0.1:3001/ws]
"""

import sys

import anyio

from wsframe.client import Client


def show(status):
    print(f"({status})", flush=True)


async def main(url="ws://127.0.0.1:3001/ws"):
    async with Client(url, on_status=show, retries=100) as client:
        order = {"title": "All about ducks", "chapters": 12}
        reply = await client.request("report", order, timeout_s=3600)
        print(reply.content["title"], *reply.content["chapters"], sep="\n")


anyio.run(main, *sys.argv[1:])
