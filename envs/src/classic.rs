//! Classic control: a few numbers of physics and one lever.

pub mod acrobot;
pub mod cartpole;
pub mod mountain_car;
pub mod mountain_car_continuous;
pub mod pendulum;
mod valley;
