"""
Which team should read a support ticket? 120 tickets, one model, and how often it is right.

    python3 -m doteval run docs/examples/eval_tickets.py --experiment first-look
"""

import csv
from pathlib import Path

from local_model import LocalModel  # put the client of your model here

from doteval import Result, foreach
from doteval.evaluators import exact_match

model = LocalModel()
file = Path(__file__).with_name("tickets.csv")
tickets = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


@foreach("ticket,team", tickets)
async def eval_tickets(ticket, team):
    answer = await model.classify(ticket)
    return Result(exact_match(answer, team), prompt=ticket, model_response=answer)
