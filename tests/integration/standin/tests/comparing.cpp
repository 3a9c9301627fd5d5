int standin_answer();

bool standin_compare(int given) { return given == standin_answer(); }
