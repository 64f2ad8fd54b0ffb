mod damage;
mod hostile;
mod parts;
mod workload;
