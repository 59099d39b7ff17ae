"""The TeaCache runtime: contexts, the decision, the hook and the backend. It knows nothing of specs.

One question a room, the lowest first; each knows those before it alone:

    host          what else is on this module
    keep          where cached tensors live, and whether they were overwritten
    contract      what an extractor hands over
    calibrations  what is published about a model
    rules         compute or reuse, and what is added in place of the blocks
    settings      what the user wants
    generation    whose call this is
    step          one call, from the cut to what it leaves behind
    pipeline      a whole pipeline
    report        what happened

The files beside the rooms are doors: addresses that stay, whatever moves behind them.
"""
