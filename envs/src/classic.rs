//! Classic control tasks of Gymnasium: small physical systems with one action.

pub mod acrobot;
pub mod cartpole;
pub mod mountain_car;
pub mod mountain_car_continuous;
pub mod pendulum;
mod valley;
