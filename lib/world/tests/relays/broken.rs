//! Owners, relays and hosts that break a rule: the judgement must find them out.
