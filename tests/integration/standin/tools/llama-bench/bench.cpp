int standin_answer();

int main() { return standin_answer() - 42; }
