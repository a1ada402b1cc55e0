//! candle with ordered, seeded parameters, in-place optimisers and exact losses.
