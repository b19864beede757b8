// What thrift_calls.py calls: see mixture.py.
exception Refused { 1: string message }

service Mixture {
  binary mix(1: i32 number, 2: binary bytes) throws (1: Refused refused)
  oneway void mix_one_way(1: i32 number, 2: binary bytes)
  string tally()
}
