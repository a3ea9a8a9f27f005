"""Pictures and trailers from the web: a fetch policy, a ledger of every item's state, and the two crawls."""
