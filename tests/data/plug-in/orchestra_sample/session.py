"""The steps of the driver `text`: `goto`, `expect` of a visible text, and its own, `words`."""

import re
import urllib.request

from orchestra.runtime.attempt import Request
from orchestra.runtime.driver.contract import Effort, Job, unfit, unmet
from orchestra.runtime.driver.plain import PlainSession


class Page(PlainSession):
    text = ""

    def do(self, job: Job) -> Effort:
        if job.step.verb == "goto":
            with urllib.request.urlopen(job.text("url"), timeout=job.allowed()) as reply:
                self.text = re.sub(r"<[^>]*>", " ", reply.read().decode())
            return Effort()
        if job.step.verb == "words":
            word, found = job.text("word"), self.text.split().count(job.text("word"))
            if found < job.args["at_least"]:
                message = f"the page has the word {word!r} {found} times"
                raise unmet(message, expected=f"at least {job.args['at_least']}", found=str(found))
            return Effort()
        target = job.step.target
        if target is None or target.by != "text" or job.args.get("to") != {"be": "visible"}:
            raise unfit("the driver text expects only that a text is visible")
        if target.value not in self.text:
            raise unmet(f"the page has no text {target.value!r}", expected=target.value, found=self.text.strip())
        return Effort()


class Driver:
    def open(self, request: Request) -> Page:
        return Page()

    def close(self) -> None:
        pass


def driver(environment: object) -> Driver:
    return Driver()
