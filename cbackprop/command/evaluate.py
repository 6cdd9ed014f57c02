"""`cbackprop evaluate`: how well a model predicts the rows of a table."""

import json
import signal

import numpy as np
import typer

from cbackprop.command.columns import Category, Column, Number
from cbackprop.command.evaluation import MAX_SHOWN, ClassMeasures, as_json, compare, measures_of
from cbackprop.command.inputs import Inputs
from cbackprop.command.messages import abbreviate
from cbackprop.command.options import EvaluateOptions
from cbackprop.command.predictions import Predictions
from cbackprop.command.signals import signal_handler, terminate
from cbackprop.command.tables import open_table
from cbackprop.command.terminal import print_confusion, print_table, progress_bar
from cbackprop.files.model_file import load_model


def run(options: EvaluateOptions) -> None:
    """Measure the predictions for every row."""
    model = load_model(options.model)
    predictions = Predictions(model, options.threads)
    measures = measures_of(predictions)
    classes = isinstance(measures, ClassMeasures)
    with signal_handler(terminate, signal.SIGTERM), progress_bar("evaluating", quiet=options.quiet) as update:
        table = open_table(options)
        table.on_read = lambda n: update(f"{n:,} rows")
        target = "target" if table.sparse else options.target or model.target or (model.targets or [""])[0]
        if not target:
            found = f"{options.model} does not tell it; it must be one of the columns {abbreviate(table.columns)}"
            raise typer.BadParameter(found, param_hint="'--target'")
        table.require([target])
        inputs = Inputs(table, model, options.model, target)
        kind: Column = Category(predictions.names) if classes else Number()
        for rows, _ in table.blocks({**inputs.columns, target: kind}, predictions.K):
            if len(rows):
                t = rows[target].to_numpy()
                measures.update(predictions(inputs.encode(rows)), t if classes else t[:, np.newaxis])
    skipped = f"{table.skipped:,} bad rows skipped; the first: {table.first_error}" if table.skipped else ""
    if not measures.n:
        raise ValueError(f"{table.name}: there are no rows; at least one is needed; {skipped}".rstrip("; "))
    if options.json:
        print(json.dumps(as_json(measures) | {"skipped": table.skipped}, ensure_ascii=False))
        return
    note = "; ".join(filter(None, [f"{measures.n:,} rows", skipped, inputs.unknown]))
    print_table(["", "network", measures.baseline], compare([measures]), note=note)
    if isinstance(measures, ClassMeasures) and len(measures.classes) <= MAX_SHOWN:
        print_confusion(measures.confusion, measures.classes)
