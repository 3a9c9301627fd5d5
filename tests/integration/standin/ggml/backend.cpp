int standin_answer();

extern "C" const char * standin_variant() { return standin_answer() == 42 ? VARIANT : "broken"; }
