(function(){
var root=document.documentElement,b=document.getElementById('theme'),t=document.getElementById('toc');
function dark(){var set=root.getAttribute('data-theme');return set?set==='dark':matchMedia('(prefers-color-scheme: dark)').matches}
b.hidden=false;b.onclick=function(){root.setAttribute('data-theme',dark()?'light':'dark')};
if(t&&innerWidth>=1500)t.open=true;
document.querySelectorAll('figure').forEach(function(f){
var i=f.querySelector('img[src^="data:image/svg+xml"]'),c=f.querySelector('figcaption'),a=document.createElement('a');
if(!i||!c)return;a.href=i.src;a.download=f.id+'.svg';a.textContent='save as SVG';c.append(' · ',a)});
addEventListener('beforeprint',function(){document.querySelectorAll('details').forEach(function(d){d.open=true})});
})();
