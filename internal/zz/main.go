package main
import (
 "context";"fmt";"os";"time";"flag"
 "github.com/etredal/cross-layer-transcoder/gpt2"
 "github.com/etredal/cross-layer-transcoder/gpt2/pocket"
 "github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
 "github.com/etredal/cross-layer-transcoder/internal/backend"
)
func must(err error){ if err!=nil { fmt.Println(err); os.Exit(1)} }
func main(){
 cfg:=gpt2.DefaultTrainConfig()
 out:=flag.String("o","/tmp/pocket","")
 flag.IntVar(&cfg.Steps,"steps",cfg.Steps,"")
 flag.IntVar(&cfg.Batch,"batch",cfg.Batch,"")
 flag.Float64Var(&cfg.LR,"lr",cfg.LR,"")
 flag.Parse()
 b,info,err:=backend.Open(""); must(err); fmt.Println(info)
 w:=world.New(pocket.WorldSeed)
 t0:=time.Now()
 tok,err:=pocket.Tokenizer(w); must(err)
 fmt.Println("tokenizer",tok.Size(),len(w.Words()),time.Since(t0))
 for _,s:=range w.Words(){ if len(tok.Encode(s))!=1 { fmt.Println("not one token",s) } }
 m,err:=gpt2.Untrained(b,pocket.Config(tok.Size(),tok.EOT()),1); must(err)
 m.Tokenizer=tok
 t0=time.Now(); last:=t0
 err=gpt2.Train(context.Background(),m,pocket.Windows(w,tok,cfg.Batch,cfg.Window,cfg.Seed),cfg,*out+".ckpt",func(p gpt2.TrainProgress){
  if p.Step%50==0 { fmt.Printf("%d loss %.4f lr %.2g norm %.2g  %.0f ms/step\n",p.Step,p.Loss,p.LR,p.GradNorm,float64(time.Since(last).Milliseconds())/50); last=time.Now() }
  if p.Step%500==0 { acc,err:=pocket.Evaluate(m,w); must(err); for _,a:=range acc { fmt.Printf("   %-20s seen %.3f held %.3f\n",a.Behaviour,a.Seen,a.HeldOut)}; last=time.Now() }
 }); must(err)
 fmt.Println("train",time.Since(t0))
 must(m.Save(*out))
}
